/** Ordinary English words. Documents are made of them, so no text of anybody is needed. */
export const WORDS = `
a able about above across act add afternoon again against age air all almost alone along already
also always among and animal another answer any apple area arm around arrive art as ask at away
baby back bad bag ball bank bar base be bear beautiful because become bed before begin behind
believe below best better between big bird black blue board boat body book both bottle bottom box
boy bread break bridge bright bring broken brother brown build building bus business busy but buy
by cake call camera can capital car card care carry case cat catch cause center certain chair
chance change charge cheap check chicken child children choose city class clean clear clock close
clothes cloud coat coffee cold color come common company complete computer condition contain
control cook cool corner correct cost could country course cover cross cup customer cut dance dark
date daughter day deal decide deep delivery describe desk did die different difficult dinner
direct discover dish do doctor does dog door down draw dream dress drink drive drop dry during
each early earth east easy eat edge effect egg eight either electric else empty end energy engine
enjoy enough enter equal evening event ever every example except expect expensive experience
explain eye face fact fall family famous far farm fast father fear feel few field fight figure
fill film final find fine finger finish fire first fish fit five fix floor flower fly follow food
foot for force forest forget form forward found four free fresh friend from front fruit full fun
future game garden general gentle get gift girl give glad glass go gold good grass gray great
green ground group grow guess had hair half hand happen happy hard has hat have he head hear heart
heat heavy held help her here high hill him his history hold hole home hope horse hospital hot
hotel hour house how however huge human hundred hungry hurry husband i ice idea if important in
inside instead interest into iron is island it its job join journey just keep key kind king
kitchen knew know lady lake land language large last late laugh law lead learn least leave left
leg less lesson let letter level library lie life light like line list listen little live local
long look lose lost lot loud love low lucky lunch machine made main make man many map mark market
matter may me meal mean meat meet member message metal middle might mile milk mind minute miss
modern moment money month moon more morning most mother mountain mouth move much music must my
name narrow nation nature near necessary neck need never new news next nice night nine no noise
none noon north nose not note nothing notice now number object ocean of off offer office often oil
old on once one only open or orange order other our out outside over own page paint pair paper
parent park part party pass past pay peace pen people perfect perhaps period person phone photo
pick picture piece place plain plan plane plant play please pocket point police poor popular
position possible post power practice present press pretty price print private problem produce
product program promise proud public pull push put quality quarter queen question quick quiet
quite rain raise reach read ready real reason receive record red remember rent repair repeat
report rest result return review rice rich ride right ring rise river road rock roll room root
round rule run sad safe said sail salt same sand save saw say school science screen sea search
season seat second see seem sell send sentence serve service set seven several shape share sharp
she ship shirt shoe shop short should shoulder show shut sick side sign silver simple since sing
sister sit six size skin sky sleep slow small smell smile snow so soft soil some son song soon
sorry sound south space speak special speed spend spoke spring square stand star start state
station stay step still stone stop store storm story straight strange street strong student study
such sudden sugar suit summer sun supper support sure surface surprise sweet swim system table
take talk tall taste teach team tell ten test than thank that the their them then there these they
thick thin thing think third this those though thought thousand three through throw ticket time
tiny to today together told tomorrow too took tool top total touch toward town trade train travel
tree trip trouble true trust try turn twelve twenty two type under understand unit until up upon
us use usual valley value very view village visit voice wait walk wall want war warm was wash
watch water wave way we wear weather week weight well went were west wet what wheel when where
whether which while white who whole whose why wide wife wild will win wind window winter wish with
without woman women wonder wood word work world worry would write wrong yard year yellow yes
yesterday yet you young your
`
  .trim()
  .split(/\s+/);
